// Regular expressions that cannot be slow: matched by following all alternatives at once (Thompson, "Regular expression
// search algorithm", 1968), so the time is bounded by text × pattern, whatever both are. JavaScript's own engine
// backtracks: '(a+)+$' on forty letters stops a process. One character's meaning (classes, escapes, case) is still
// asked of it.
import { type Fail, type Program, programOf, RegexSyntax } from './regex-program.ts'

/** Longer ones are refused. */
export const regexLimit = 200

export interface Regex {
  test(text: string): boolean
}

/**
 * JavaScript's syntax in Unicode mode without back-references and look-around; a leading `(?i)` ignores case. Throws
 * what `fail` makes of an offset into the source and a reason.
 */
export function compileRegex(source: string, fail: Fail): Regex {
  if (source.length > regexLimit)
    throw fail(regexLimit, `the regular expression is longer than ${regexLimit} characters`)
  const plain = plainText(source)
  if (plain !== undefined) return plain
  try {
    const program = programOf(source)
    return { test: (text) => run(program, text) }
  } catch (error) {
    if (error instanceof RegexSyntax) throw fail(error.offset, error.message)
    throw error
  }
}

/** `^user/`, `@example`: what most filters are, at the speed of a string search. */
function plainText(source: string): Regex | undefined {
  const [, start, text, end] = /^(\^?)([\w/@: -]*)(\$?)$/.exec(source) ?? []
  if (text === undefined) return undefined
  if (start && end) return { test: (subject) => subject === text }
  if (start) return { test: (subject) => subject.startsWith(text) }
  return { test: (subject) => (end ? subject.endsWith(text) : subject.includes(text)) }
}

/** States are visited once a character; `seen` holds the step in which a state was last added. */
function run(program: Program, text: string): boolean {
  const seen = new Int32Array(program.length).fill(-1)
  const stack: number[] = []
  let current: number[] = []
  let following: number[] = []
  let matched = false

  const add = (start: number, step: number, before: number, after: number, states: number[]): void => {
    stack.push(start)
    for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
      if (seen[state] === step) continue
      seen[state] = step
      const instruction = program[state]
      if (instruction === undefined) matched = true
      else if (instruction.kind === 'char') states.push(state)
      else if (instruction.kind === 'split') stack.push(...instruction.to)
      else if (instruction.holds(before, after)) stack.push(state + 1)
    }
  }

  let before = -1
  let step = 0
  for (let at = 0; ; ) {
    const char = text.codePointAt(at) ?? -1
    add(0, step, before, char, current)
    if (matched || char < 0) return matched
    const width = char > 0xffff ? 2 : 1
    const after = text.codePointAt(at + width) ?? -1
    step++
    for (const state of current) {
      const instruction = program[state]
      if (instruction?.kind === 'char' && instruction.accepts(char)) add(state + 1, step, char, after, following)
    }
    ;[current, following] = [following, current]
    following.length = 0
    before = char
    at += width
  }
}
