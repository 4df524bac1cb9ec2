import type { AttemptRecord, DeadReason } from '../store/attempts.ts'

const messageChars = 2000
const stackChars = 8000
const nameChars = 200

/** What was thrown, as data: bounded and storable, whatever it was. */
export type ErrorFacts = Pick<AttemptRecord, 'class' | 'code' | 'message' | 'stack'>

/** Never throws: getters that throw, proxies, cycles, lone surrogates and 50 MB texts all become a short description. */
export function factsOf(thrown: unknown): ErrorFacts {
  const isObject = (typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function'
  if (!isObject)
    return {
      class: 'NonError',
      message: `thrown: ${printable(quietly(() => String(thrown)) ?? typeof thrown, messageChars)}`,
    }
  const read = (key: string): unknown => quietly(() => (thrown as Record<string, unknown>)[key])
  const name = read('name')
  const message = read('message')
  const stack = read('stack')
  const code = read('code')
  const isError = quietly(() => thrown instanceof Error) === true
  const facts = {
    class: printable(isError ? nameOf(thrown, name) : 'NonError', nameChars),
    message: printable(typeof message === 'string' ? message : describe(thrown), messageChars),
  }
  return {
    ...facts,
    ...(typeof stack === 'string' ? { stack: printable(stack, stackChars) } : {}),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: printable(String(code), nameChars) } : {}),
  }
}

/** Classes like `class NotFound extends Error {}` keep the name Error: the constructor knows better. */
function nameOf(thrown: object, name: unknown): string {
  if (typeof name === 'string' && name !== 'Error' && name !== '') return name
  const constructed = quietly(() => thrown.constructor.name)
  return typeof constructed === 'string' && constructed !== '' ? constructed : 'Error'
}

function describe(thrown: unknown): string {
  const text = quietly(() => shallowJson(thrown)) ?? quietly(() => Object.prototype.toString.call(thrown))
  return `thrown: ${text ?? 'a value that cannot be shown'}`
}

/** One level, a few keys: a description must not cost what the value weighs. */
function shallowJson(thrown: unknown): string {
  const entries = Object.keys(thrown as object)
    .slice(0, 20)
    .map((key) => {
      const value = quietly(() => (thrown as Record<string, unknown>)[key])
      return [
        key.slice(0, 100),
        typeof value === 'string' ? value.slice(0, 200) : typeof value === 'object' ? '…' : String(value),
      ]
    })
  return JSON.stringify(Object.fromEntries(entries))
}

/** JSON columns refuse NUL and lone surrogates. */
function printable(text: string, most: number): string {
  const cut = text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that one is what has to go
  return cut.replace(/\u0000/g, '\uFFFD').toWellFormed()
}

function quietly<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** Why an event died of this, when no retry could have mended it. */
export function reasonOf(code: string | undefined): DeadReason {
  if (code === 'decode') return 'undecodable'
  if (code === 'checksum') return 'checksum'
  if (code === 'contract' || code === 'unknown-type') return 'contract'
  return 'non-retryable'
}
