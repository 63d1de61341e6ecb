import { withDefaults } from "./options.js";
import { slug } from "./slug.js";

/** Gives slugs that are unique among those it gave before. */
export class Slugger {
  #options;
  #counts = new Map();

  constructor(options) {
    this.#options = withDefaults(options);
  }

  /** The slug of a text, with a number after it if the slug was given before. */
  add(text) {
    const base = slug(text, this.#options);
    const count = this.#counts.get(base) ?? 0;
    this.#counts.set(base, count + 1);
    if (count === 0) return base;
    return this.#numbered(base, count);
  }

  /** Forget every slug. */
  reset() {
    this.#counts.clear();
  }

  #numbered(base, count) {
    const { separator, maxLength } = this.#options;
    const suffix = separator + count;
    return base.slice(0, Math.max(0, maxLength - suffix.length)) + suffix;
  }
}
