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

const nested = (depth: number): string =>
  depth === 0 ? '[]' : `[{ repeat: 2, steps: ${nested(depth - 1)} }, { publish: user.created }]`

describe('a scenario is refused with file, line and remedy, before its first event,', () => {
  it.each([
    ['that holds itself', '  - &x\n    repeat: 2\n    steps: [*x]', ':5: steps[0].steps[0]: it holds itself', 'repeat'],
    ['that is too deep', `  - repeat: 2\n    steps: ${nested(60)}`, ': it is nested deeper than 100 levels', 'include'],
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
