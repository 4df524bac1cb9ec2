/** Whether a code point fits. */
export type CharTest = (char: number) => boolean

const known = new Map<string, CharTest>()
const knownLimit = 500

/**
 * What one atom of a regular expression accepts: a character, `.`, an escape or a class. Its meaning is JavaScript's;
 * answers for ASCII are kept in a table. Throws SyntaxError when JavaScript does.
 */
export function charTest(atom: string, ignoreCase: boolean): CharTest {
  const key = `${ignoreCase ? 'i' : ''}${atom}`
  const found = known.get(key)
  if (found !== undefined) return found
  const test = testOf(atom, ignoreCase)
  if (known.size >= knownLimit) known.clear()
  known.set(key, test)
  return test
}

function testOf(atom: string, ignoreCase: boolean): CharTest {
  const regex = new RegExp(`^(?:${strict(atom)})$`, ignoreCase ? 'iu' : 'u')
  const ascii = Uint8Array.from({ length: 128 }, (_, char) => (regex.test(String.fromCharCode(char)) ? 1 : 0))
  return (char) => (char < 128 ? ascii[char] === 1 : regex.test(String.fromCodePoint(char)))
}

/** Unicode mode refuses what habit allows: `\@`, `\'`, a lone brace, `\-` outside a class. */
function strict(atom: string): string {
  if (/^[{}\]]$/.test(atom)) return `\\${atom}`
  const needless = atom.startsWith('[') ? /\\([!"#%&',:;<=>@_`~ ])|\\./gsu : /\\([!"#%&',:;<=>@_`~ -])|\\./gsu
  return atom.replace(needless, (both, char?: string) => char ?? both)
}
