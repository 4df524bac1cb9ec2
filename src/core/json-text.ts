/**
 * JSON of a value of any depth, as `JSON.stringify` writes it; 'null' for what JSON cannot say. A value too deep for the
 * stack comes without indentation. Throws TypeError for a bigint and for a value that refers to itself.
 */
export function formatJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, null, indent) ?? 'null'
  } catch (error) {
    // JSON.stringify recurses, and ends at some thousand levels; JSON.parse does not, so such values arrive.
    if (!(error instanceof RangeError)) throw error
    return formatDeep(value)
  }
}

/**
 * As JSON.parse, for printing again: a number whose digits a double cannot hold stays as it was written when `formatJson`
 * or JSON.stringify writes the result. Such a number is an object; do not compute with it.
 */
export function parseExactly(json: string): unknown {
  try {
    return parseWithSource(json, (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value,
    )
  } catch (error) {
    // A reviver is called for the innermost value first, which takes a stack as deep as the text.
    if (!(error instanceof RangeError)) throw error
    return JSON.parse(json)
  }
}

/** JSON with numbers that a double may not hold: cheap to ask, and right whenever it says no. */
export const mayLoseDigits = (json: string): boolean => /(?:^|[:[,\s])-?(?:[\d.]{16}|[\d.]+[eE])/.test(json)

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown
/** ECMAScript's JSON.parse source text access, which TypeScript does not know yet. */
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): object
  isRawJSON(value: unknown): boolean
}
const parseWithSource = JSON.parse as (json: string, reviver: Reviver) => unknown

/** Levels of arrays and objects in valid JSON text. */
export function jsonDepth(json: string): number {
  let depth = 0
  let deepest = 0
  for (let i = 0; i < json.length; i++) {
    const char = json.charCodeAt(i)
    if (char === quote) i = stringEnd(json, i)
    else if (char === openBracket || char === openBrace) deepest = Math.max(deepest, ++depth)
    else if (char === closeBracket || char === closeBrace) depth--
  }
  return deepest
}

/**
 * The text of the member `name` in the valid JSON text of an object, as it stands there: numbers keep the digits that
 * parsing would lose. The last one when there are several, as with JSON.parse; undefined when there is none.
 */
export function memberText(json: string, name: string): string | undefined {
  let found: string | undefined
  let key: unknown
  let from = 0
  let depth = 0
  for (let i = 0; i < json.length; i++) {
    const char = json.charCodeAt(i)
    if (char === quote) {
      const end = stringEnd(json, i)
      if (depth === 1 && key === undefined) key = JSON.parse(json.slice(i, end + 1))
      i = end
    } else if (char === openBracket || char === openBrace) {
      depth++
    } else if (depth === 1 && char === colon) {
      from = i + 1
    } else if (char === comma || char === closeBracket || char === closeBrace) {
      if (depth === 1 && key === name) found = json.slice(from, i).trim()
      if (depth === 1) key = undefined
      if (char !== comma) depth--
    }
  }
  return found
}

const [quote, colon, comma, backslash] = [34, 58, 44, 92]
const [openBracket, closeBracket, openBrace, closeBrace] = [91, 93, 123, 125]

/** Where the string that opens at `start` closes. */
function stringEnd(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let before = end
    while (json.charCodeAt(before - 1) === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
  return json.length
}

interface Level {
  readonly node: object
  readonly keys: readonly string[] | undefined
  next: number
  /** What stands before the next member. */
  separator: string
}

function formatDeep(root: unknown): string {
  const parts: string[] = []
  const open: Level[] = []
  const within = new Set<object>()
  const write = (given: unknown, key: string, before: string, orElse: string | undefined): boolean => {
    const value = plain(given, key)
    if (isContainer(value)) {
      if (within.has(value)) throw new TypeError('a circular structure is no JSON')
      within.add(value)
      parts.push(before, Array.isArray(value) ? '[' : '{')
      open.push({ node: value, keys: Array.isArray(value) ? undefined : Object.keys(value), next: 0, separator: '' })
      return true
    }
    const text = JSON.stringify(value) ?? orElse
    if (text !== undefined) parts.push(before, text)
    return text !== undefined
  }
  write(root, '', '', 'null')
  for (let level = open.at(-1); level; level = open.at(-1)) {
    const { node, keys, separator } = level
    const at = level.next++
    if (at >= (keys ?? (node as unknown[])).length) {
      parts.push(keys ? '}' : ']')
      within.delete(node)
      open.pop()
    } else if (keys) {
      const key = keys[at] as string
      const before = `${separator}${JSON.stringify(key)}:`
      if (write((node as Record<string, unknown>)[key], key, before, undefined)) level.separator = ','
    } else {
      write((node as unknown[])[at], String(at), separator, 'null')
      level.separator = ','
    }
  }
  return parts.join('')
}

function plain(value: unknown, key: string): unknown {
  const own = value as { toJSON?: unknown } | null | undefined
  return typeof own?.toJSON === 'function' ? own.toJSON(key) : value
}

function isContainer(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return !(isRawJSON(value) || value instanceof String || value instanceof Number || value instanceof Boolean)
}
