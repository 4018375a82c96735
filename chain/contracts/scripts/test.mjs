// All tests; arguments are passed on to forge. Prints forge's last line, or everything when a test fails.
import { forge } from "./forge.mjs";

const lines = forge("test", ...process.argv.slice(2)).trim().split("\n");
const summary = lines.findLast((line) => /^Ran \d+ test suite/.test(line));
console.log(summary ?? lines.join("\n"));
if (!summary) process.exit(1); // a filter that matches nothing is no success
