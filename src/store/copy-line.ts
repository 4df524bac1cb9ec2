// One row of COPY's text format: columns between tabs, `\N` for null, backslash before what has a meaning.

const special = /[\\\t\n\r]/g
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

export function copyLine(row: readonly (string | number | null)[]): string {
  let line = ''
  for (let i = 0; i < row.length; i += 1) {
    const value = row[i]
    if (i > 0) line += '\t'
    line += value == null ? '\\N' : typeof value === 'number' ? value : escaped(value)
  }
  return `${line}\n`
}

function escaped(text: string): string {
  // Most have nothing to escape; `test` on a shared global expression would keep state.
  return text.search(special) < 0 ? text : text.replace(special, (character) => escapes[character] as string)
}
