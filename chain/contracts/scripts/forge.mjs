// Runs forge in this folder, silently.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Exit code and output of forge with these arguments; the output is shown only if it fails. */
export function forge(...args) {
  const binary = join(root, "node_modules", ".bin", "forge");
  const run = spawnSync(binary, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
  if (run.error) throw run.error;
  if (run.status !== 0) {
    process.stderr.write(run.stdout + run.stderr);
    process.exit(run.status ?? 1);
  }
  return run.stdout;
}
