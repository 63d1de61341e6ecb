const DEFAULTS = Object.freeze({ separator: "-", maxLength: Infinity, lower: true });

/** Fill in what was left out. Throws a TypeError or RangeError that names the option. */
export function withDefaults(options = {}) {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw new TypeError(`slugger: there is no option "${name}"`);
  }
  const all = { ...DEFAULTS, ...options };
  if (typeof all.separator !== "string") throw new TypeError("slugger: separator is a string");
  if (!(all.maxLength >= 1)) throw new RangeError("slugger: maxLength is at least 1");
  return all;
}
