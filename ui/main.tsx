/** Where the page begins. */

import { render } from "preact";
import { App } from "./app.tsx";
import { listenToKeys } from "./frame/keys.ts";
import { followLinks } from "./frame/location.ts";

followLinks();
listenToKeys();
render(<App />, document.body);
