const LETTERS = new Map(
  Object.entries({
    ß: "ss", æ: "ae", Æ: "AE", œ: "oe", Œ: "OE", ø: "o", Ø: "O", ł: "l", Ł: "L", đ: "d", Đ: "D", þ: "th", Þ: "TH",
    "&": " and ", "@": " at ", "%": " percent ", "+": " plus ",
  }),
);

/** Write text with ASCII letters where there are some for it. */
export function transliterate(text) {
  const plain = text.normalize("NFKD").replace(/\p{Mark}+/gu, "");
  return Array.from(plain, (letter) => LETTERS.get(letter) ?? letter).join("");
}
