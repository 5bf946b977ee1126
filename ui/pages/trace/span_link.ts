/** Where spans of the trace that is shown are. */

import { here, withParameters } from "../../frame/location.ts";

/** The address that chooses a span, wherever in the tree it is hidden; the rest stays as it is. */
export function spanHref(spanId: string): string {
  const { pathname, searchParams } = here.value;
  return withParameters(pathname, { span: spanId, fold: "", focus: "", only: "" }, searchParams);
}
