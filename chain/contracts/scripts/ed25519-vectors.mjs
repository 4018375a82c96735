// Writes test/vectors/ed25519.json: signatures and hashes by an implementation that is not ours. With --check only
// compares.
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const path = join(import.meta.dirname, "..", "test", "vectors", "ed25519.json");
const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const sha512 = (data) => createHash("sha512").update(data).digest();

function vector(secret, message) {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), secret]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
  return { key: hex(publicKey), message: hex(message), signature: hex(sign(null, message, key)), sha512: hex(sha512(message)) };
}

// Lengths on both sides of where SHA-512 takes another block, for the message alone and behind R and key.
const lengths = [0, 1, 31, 46, 47, 48, 49, 63, 64, 65, 80, 110, 111, 112, 113, 127, 128, 129, 174, 175, 176, 239, 240, 255, 256, 1023];
const vectors = lengths.map((length, i) => {
  const bytes = Buffer.concat(Array.from({ length: 17 }, (_, block) => sha512(`message ${i} ${block}`)));
  return vector(sha512(`secret ${i}`).subarray(0, 32), bytes.subarray(0, length));
});

const text = `${JSON.stringify({ count: vectors.length, vectors }, null, 2)}\n`;
if (!process.argv.includes("--check")) writeFileSync(path, text);
else if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
  console.error("test/vectors/ed25519.json is stale: run node scripts/ed25519-vectors.mjs");
  process.exit(1);
}
