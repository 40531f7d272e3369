// The vectors of every rule hold for its built module.

import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runVectors } from "quorate-rule/testing/vectors";

const here = dirname(fileURLToPath(import.meta.url));

for (const name of readdirSync(here).filter((name) => existsSync(join(here, name, "assembly/index.ts")))) {
  test(`vectors of ${name}`, () => runVectors(join(here, name, "rule.json"), join(here, `built/${name}.wasm`)));
}
