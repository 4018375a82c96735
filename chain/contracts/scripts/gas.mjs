// What certificate checks and stored sets cost on chain, as tables or with --json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { forge } from "./forge.mjs";

forge("test", "--match-contract", "GasTest");
const report = join(import.meta.dirname, "..", "out", "gas.jsonl");
const rows = readFileSync(report, "utf8").trim().split("\n").map((line) => JSON.parse(line));

function table(title, rows) {
  const columns = Object.keys(rows[0]);
  const line = (cells) => cells.map((cell) => String(cell).padStart(12)).join("");
  console.log(title);
  console.log(line(columns));
  for (const row of rows) console.log(line(columns.map((column) => row[column])));
}

if (process.argv.includes("--json")) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  table("Gas of isValidSignature by form and number of signers, storage cold", rows.filter((row) => row.form));
  table("\nGas of storing a set, all of it new or unchanged since the epoch before", rows.filter((row) => row.call));
}
