import assert from "node:assert/strict";
import { test } from "node:test";

import { slug } from "../src/index.js";

test("joins words in lower case", () => {
  assert.equal(slug("  Hello, World!  "), "hello-world");
  assert.equal(slug("It's a dog’s life"), "its-a-dogs-life");
});

test("writes accents and ligatures in ASCII and keeps other scripts", () => {
  assert.equal(slug("Crème brûlée & Straße"), "creme-brulee-and-strasse");
  assert.equal(slug("Привет мир"), "привет-мир");
});

test("cuts between words, and inside the first one only", () => {
  assert.equal(slug("one two three", { maxLength: 9 }), "one-two");
  assert.equal(slug("incomprehensible", { maxLength: 6 }), "incomp");
});

test("takes another separator and keeps case when asked", () => {
  assert.equal(slug("Hello World", { separator: "_", lower: false }), "Hello_World");
});

test("is empty for a text without words", () => {
  assert.equal(slug("…!?"), "");
});

test("names the option that is wrong", () => {
  assert.throws(() => slug("a", { seperator: "_" }), /no option "seperator"/);
  assert.throws(() => slug("a", { maxLength: 0 }), RangeError);
});
