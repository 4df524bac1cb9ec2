import fc from 'fast-check'
import { expect, test } from 'vitest'
import { visible } from '../../src/core/visible.ts'
import { anyText } from './texts.ts'

test.each([
  ['\u001b[2Jgone', '\\x1b[2Jgone'],
  ['\u009b31m', '\\x9b31m'],
  ['a\r\nb\tc', 'a\\r\\nb\\tc'],
  ['\0\u0007\u007f', '\\x00\\x07\\x7f'],
  ['abc\u202etxt.exe', 'abc\\u{202e}txt.exe'],
  ['\u2028\ufeff\u200b', '\\u{2028}\\u{feff}\\u{200b}'],
  ['a\ud800b', 'a\\u{d800}b'],
  ['\u{e0041}', '\\u{e0041}'],
])('%j is shown as %s', (text, shown) => {
  expect(visible(text)).toBe(shown)
})

test('leaves letters of every script, emoji and their joiners alone', () => {
  const text = 'Grüße 世界 नमस्ते می‌خواهم 👩‍👩‍👧 {"a": "\\n"}'
  expect(visible(text)).toBe(text)
})

test('nothing that a terminal would obey comes through, and showing twice changes nothing', () => {
  fc.assert(
    fc.property(anyText(60), (text) => {
      const shown = visible(text)
      expect(shown).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u)
      expect(visible(shown)).toBe(shown)
    }),
  )
})
