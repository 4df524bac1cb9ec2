import fc from 'fast-check'

/** One code unit or character: mostly ASCII, also controls, other scripts, emoji and lone surrogates. */
const unit = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.constantFrom('é', '世', '😀', '\ud800', '\udfff', '\0', '\u2028', '\u202e', '\n') },
)

/** Any string. fast-check's own `binary` unit takes seconds to build its tables. */
export function anyText(maxLength = 20): fc.Arbitrary<string> {
  return fc.string({ unit, maxLength })
}
