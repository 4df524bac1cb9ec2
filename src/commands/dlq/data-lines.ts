import { formatJson, jsonDepth, parseExactly } from '../../core/json-text.ts'
import { visible } from '../../core/visible.ts'

/** More levels are not indented: nobody reads them, and the blanks alone would be megabytes. */
const deepestIndented = 100

/** Indented JSON with all digits of its numbers, each line made visible; what is no JSON as it is. */
export function dataLines(text: string): string[] {
  return indented(text)
    .split('\n')
    .map((line) => `  ${visible(line)}`)
}

function indented(text: string): string {
  if (jsonDepth(text) > deepestIndented) return text
  try {
    return formatJson(parseExactly(text), 2)
  } catch {
    return text
  }
}
