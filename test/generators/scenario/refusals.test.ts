import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../src/core/registry.ts'
import type { ScenarioDefinition } from '../../../src/core/scenario.ts'
import { defineScenario } from '../../../src/generators/scenario/define-scenario.ts'
import { parseScenario } from '../../../src/generators/scenario/parse-scenario.ts'
import { createScenarioGenerator } from '../../../src/generators/scenario/scenario-generator.ts'
import { contracts } from '../../../src/services/icons/contracts.ts'

const registry = createRegistry(contracts)
const create = (lines: string) =>
  createScenarioGenerator({
    registry,
    scenarios: [parseScenario(`scenario: x\nsteps:\n${lines}\n`, './my.yaml')],
    seed: 1,
    nowMs: Date.UTC(2026, 0, 1),
  })

const thrownBy = (work: () => unknown): Error & { readonly hint?: string } => {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

const created = '  - publish: user.created\n'
const nested = (depth: number): string =>
  depth === 0 ? '[]' : `[{ repeat: 2, steps: ${nested(depth - 1)} }, { publish: user.created }]`

describe('a scenario is refused with file, line and remedy, before its first event,', () => {
  it.each<[string, string, string, string]>([
    [
      'that gives two steps one name',
      '  - publish: user.created\n    as: user\n  - publish: user.created\n    as: user',
      ':6: steps[1].as: user: a step before has that name',
      'a name of its own',
    ],
    [
      'that expects a field that no such event has',
      `${created}  - expect: user.updated\n    where: data.user_idd == "x"`,
      'there is no field data.user_idd: did you mean data.user_id?',
      '',
    ],
    ['that holds itself', '  - &x\n    repeat: 2\n    steps: [*x]', ':5: steps[0].steps[0]: it holds itself', 'repeat'],
    ['that is too deep', `  - repeat: 2\n    steps: ${nested(60)}`, ': it is nested deeper than 100 levels', 'include'],
    [
      'that repeats nothing',
      `${created}  - repeat: 10000\n    steps:\n      - think: 0s`,
      ':4: steps[1].repeat: nothing happens in it',
      'publish',
    ],
    [
      'that has no end to speak of',
      '  - repeat: 1000\n    steps:\n      - repeat: 1000\n        steps: [{ repeat: 1000, steps: [{ publish: user.created }] }]',
      ':3: steps[0].repeat: an instance would have 1,001,001,001 steps',
      '1,000,000',
    ],
    [
      'in which nothing happens',
      '  - think: 1s',
      ':2: steps: nothing is published or expected',
      'publish: user.created',
    ],
    [
      'that takes for ever',
      `  - think: 100000000h\n${created}`,
      ':2: steps: an instance would take 4166666d16h',
      'at most 3650d',
    ],
    [
      'with a reference that is not closed',
      '  - publish: user.created\n    as: u\n  - publish: auth.login\n    set: { data.user_id: "${u.data.user_id" }',
      ':6: steps[1].set.data.user_id: ${u.data.user_id: it is not closed',
      '$${',
    ],
    ...[
      ['tenant: 5', 'tenant is no text'],
      ['metadata.x: { a: 1 }', 'metadata.x is no string, number or boolean'],
      ["source: ''", 'source is missing'],
      ['correlationId: { a: 1 }', 'correlationId is no text'],
      ['traceparent: bad', 'traceparent is none'],
    ].map(([set = '', reason]): [string, string, string, string] => [
      `whose event could not be sent: ${set}`,
      `${created}    set: { ${set} }`,
      `:4: steps[0].set.${set.split(':')[0]}: ${reason}`,
      '',
    ]),
  ])('%s', (_, lines, message, hint) => {
    const error = thrownBy(() => create(lines))
    expect(error).toMatchObject({ code: 'config', hint: expect.stringContaining(hint) })
    expect(error.message).toContain('./my.yaml:')
    expect(error.message).toContain(message)
  })

  it('in code too: one that holds itself', () => {
    const steps: unknown[] = [{ publish: 'user.created' }]
    steps.push({ repeat: 2, steps })
    expect(() => defineScenario({ scenario: 'x', steps } as ScenarioDefinition)).toThrow(
      'cannot define scenario "x": steps[1].steps: it holds itself',
    )
  })
})
