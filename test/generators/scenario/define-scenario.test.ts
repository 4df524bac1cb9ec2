import { describe, expect, it } from 'vitest'
import type { ScenarioDefinition } from '../../../src/core/scenario.ts'
import { defineScenario } from '../../../src/generators/scenario/define-scenario.ts'

const whole = {
  scenario: 'signup',
  summary: 'a person registers and logs in',
  steps: [
    {
      publish: 'user.created',
      as: 'user',
      set: { 'data.user_data.plan': 'pro' },
      subject: 'user/${user.data.user_id}',
    },
    { think: '2s..30s' },
    {
      choose: [
        { share: 0.8, steps: [{ publish: 'auth.login@1', causedBy: 'user' }] },
        { share: 0.2, steps: [] },
      ],
    },
    { repeat: '3..8', steps: [{ publish: 'document.created' }, { repeat: 2, steps: [{ think: '0' }] }] },
    { expect: 'user.*', where: 'data.user_id == ${user.data.user_id}', within: '5s' },
    { include: 'gdpr-deletion' },
  ],
} as const satisfies ScenarioDefinition

describe('defineScenario', () => {
  it('gives back what is a scenario', () => {
    expect(defineScenario(whole)).toBe(whole)
  })

  it.each([
    [{ steps: [{ publish: 1 }] }, 'steps[0].publish: expected string', undefined],
    [{ steps: [{ publsh: 'x' }] }, 'steps[0]: it has none of publish, think', 'did you mean publish?'],
    [{ steps: ['x'] }, 'steps[0]: a step is an object', 'publish'],
    [{ steps: [{ publish: 'a.b', sett: {} }] }, 'steps[0]: there is no key "sett" here', 'did you mean set?'],
    [{ steps: [{ think: 'long' }] }, 'steps[0].think: expected a time or a range', undefined],
    [{ steps: [{ repeat: '8..3', steps: [] }] }, 'steps[0].repeat: 8..3 runs backwards', undefined],
    [{ steps: [{ think: '30s..2s' }] }, 'steps[0].think: 30s..2s runs backwards', '2s..30s'],
    [{ steps: [{ repeat: -1, steps: [] }] }, 'steps[0].repeat: ', undefined],
    [{ steps: [{ repeat: 2, steps: [{ think: 'x' }] }] }, 'steps[0].steps[0].think: expected a time', undefined],
    [{ steps: [{ repeat: 2 }] }, 'steps[0].steps: is missing', undefined],
    [
      { steps: [{ choose: [{ share: 0.5, steps: [] }] }] },
      'steps[0].choose: the shares sum to 0.5, not to 1',
      '{ share: 0.5, steps: [] }',
    ],
    [{ steps: [{ choose: [{ shar: 1, steps: [] }] }] }, 'steps[0].choose[0]', undefined],
    [
      {
        steps: [
          {
            choose: [
              { share: 0.8, steps: [] },
              { share: 0.3, steps: [] },
            ],
          },
        ],
      },
      'sum to 1.1, not to 1',
      '0.8 and 0.2',
    ],
    [{ steps: [{ choose: [{ share: -0.5, steps: [] }] }] }, 'steps[0].choose[0].share: expected a share', 'share: 0.2'],
    [{ steps: [] }, 'steps: expected one step or more', '- publish: user.created'],
    [{ steps: [{ repeat: 99999999999, steps: [] }] }, 'steps[0].repeat: expected a whole number', 'repeat: 3..8'],
    [{ steps: [{ think: '1s..2s..900s' }] }, 'steps[0].think: expected a time or a range', 'think: 2s..30s'],
    [{ steps: [{ repeat: '1..2..900', steps: [] }] }, 'steps[0].repeat: expected a whole number', 'repeat: 3..8'],
    [{ steps: [{ publish: 'a.b', subject: '' }] }, 'steps[0].subject: ', 'subject: user/42'],
    [{ steps: [{ publish: 'a.b', causedBy: 5 }] }, 'steps[0].causedBy: expected string', 'as: user'],
    [{ steps: [{ expect: 'a.b', within: '30d' }] }, 'steps[0].within: expected a time of at most 24d', 'within: 5s'],
    [{ scenario: 'Sign Up', steps: [{ think: '1s' }] }, 'scenario: a scenario is named by lower-case', undefined],
    [{ step: [{ think: '1s' }], steps: [{ think: '1s' }] }, 'there is no key "step" here', 'did you mean steps?'],
    [{ steps: [{ publish: 'a.b', as: 'a.b' }] }, 'steps[0].as: a name is letters', undefined],
  ])('refuses %j', (given, reason, hint) => {
    const define = () => defineScenario({ scenario: 'x', ...given } as unknown as ScenarioDefinition)
    expect(define).toThrow(reason)
    expect(define).toThrow(expect.objectContaining({ code: 'config', hint: expect.stringContaining(hint ?? '') }))
  })
})
