import { withDefaults } from "./options.js";
import { transliterate } from "./transliterate.js";

/** The slug of a text: its words, in ASCII where that is possible, joined by the separator. */
export function slug(text, options) {
  const { separator, maxLength, lower } = withDefaults(options);
  const words = transliterate(String(text)).replace(/['’]/g, "").match(/[\p{Letter}\p{Number}]+/gu) ?? [];
  const joined = fit(words, separator, maxLength);
  return lower ? joined.toLowerCase() : joined;
}

/** As many whole words as fit; a first word that is too long is cut. */
function fit(words, separator, maxLength) {
  let joined = "";
  for (const word of words) {
    const longer = joined === "" ? word : joined + separator + word;
    if (longer.length > maxLength) return joined === "" ? word.slice(0, maxLength) : joined;
    joined = longer;
  }
  return joined;
}
