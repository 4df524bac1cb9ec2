// C0 and C1 controls, DEL, line and paragraph separators, direction overrides, tag characters, byte-order marks and
// lone surrogates: whatever moves a cursor, hides text or changes its order. Joiners stay, emoji and scripts need them.
const unsafe =
  /[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu
/** Most text is printable ASCII, and is known for it in a fraction of the time. */
const safe = /^[ -~]*$/
const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Text that a terminal prints as one line and obeys in nothing: every control or invisible character as an escape. */
export function visible(text: string): string {
  if (safe.test(text)) return text
  return text.replace(unsafe, (char) => named[char] ?? escaped(char.codePointAt(0) ?? 0))
}

function escaped(code: number): string {
  const hex = code.toString(16)
  return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`
}

/** An event's type where a person reads it. SQL could write an empty one, before migration 10. */
export const typeText = (type: string): string => type || '(no type)'
