import { render } from "preact";
import { signal } from "@preact/signals";
import type { TRACE_PAGE } from "../src/api_answers.ts";
import type { z } from "zod";
const a = signal(1);
const x: z.infer<typeof TRACE_PAGE> | undefined = undefined;
render(<div>{a}{x}</div>, document.body);
