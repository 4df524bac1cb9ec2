import { describe, expect, it } from 'vitest'
import { EvtError, errorCodes } from '../../src/core/errors.ts'
import { exitCodes, outcomeOf } from '../../src/output/exit-codes.ts'
import { createPaint } from '../../src/output/paint.ts'
import { problemOf, renderProblem } from '../../src/output/problem.ts'

const plain = { paint: createPaint(false), debug: false }

describe('problem', () => {
  it('is what, why and the next thing to type', () => {
    const error = new EvtError('connect', 'cannot connect to h:5432: it refuses', { hint: 'start it' })
    expect(renderProblem(error, plain)).toBe('evt: cannot connect to h:5432: it refuses\nhint: start it\n')
  })

  it('shows the chain of causes only with --debug, and no stack', () => {
    const error = new EvtError('connect', 'cannot connect', {
      cause: new Error('outer', { cause: new Error('inner') }),
    })
    expect(renderProblem(error, plain)).not.toContain('outer')
    const shown = renderProblem(error, { ...plain, debug: true })
    expect(shown).toBe('evt: cannot connect\ncaused by Error: outer\ncaused by Error: inner\n')
  })

  it('ends on a chain of causes that bites its tail', () => {
    const error = new EvtError('connect', 'cannot connect', { cause: new Error('loop') })
    const cause = error.cause as Error
    cause.cause = cause
    expect(renderProblem(error, { ...plain, debug: true }).match(/caused by/g)?.length).toBe(1)
  })

  it.each([new TypeError('x is undefined'), 'a thrown string', undefined])('asks to report the defect %s', (thrown) => {
    expect(problemOf(thrown).code).toBe('internal')
    expect(renderProblem(thrown, plain)).toContain('please report it')
    expect(renderProblem(thrown, plain)).not.toContain('    at ')
  })

  it('neutralises what others wrote into a message', () => {
    expect(renderProblem(new EvtError('decode', 'cannot read \u001b]0;x\u0007'), plain)).not.toContain('\u001b')
  })

  it('has an exit code for every error code, and no two outcomes share one', () => {
    for (const code of errorCodes) expect(exitCodes[outcomeOf(code)].code).toBeGreaterThan(0)
    const numbers = Object.values(exitCodes).map(({ code }) => code)
    expect(new Set(numbers).size).toBe(numbers.length)
  })
})
