import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("the command gives one slug a line", () => {
  const cli = fileURLToPath(new URL("../src/cli.js", import.meta.url));
  const ran = spawnSync(process.execPath, [cli], { input: "Change Log\nChange Log\n", encoding: "utf8" });
  assert.equal(ran.stdout, "change-log\nchange-log-1\n");
});
