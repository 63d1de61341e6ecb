import assert from "node:assert/strict";
import { test } from "node:test";

import { Slugger } from "../src/index.js";

const all = (texts, options) => {
  const slugger = new Slugger(options);
  return texts.map((text) => slugger.add(text));
};

test("numbers what was given before", () => {
  assert.deepEqual(all(["Notes", "notes", "NOTES!"]), ["notes", "notes-1", "notes-2"]);
});

test("starts again after a reset", () => {
  const slugger = new Slugger();
  slugger.add("Notes");
  slugger.reset();
  assert.equal(slugger.add("Notes"), "notes");
});

test("counts the number as part of the length", () => {
  assert.deepEqual(all(["Notebook", "Notebook"], { maxLength: 8 }), ["notebook", "notebo-1"]);
});

test("never gives the same slug twice", () => {
  const given = all(["Notes", "Notes", "Notes 1", "Notes"]);
  assert.deepEqual(given, ["notes", "notes-1", "notes-1-1", "notes-2"]);
  const reversed = all(["Notes 1", "Notes", "Notes"]);
  assert.deepEqual(reversed, ["notes-1", "notes", "notes-2"]);
});
