import { z } from 'zod'
import { parseDuration } from '../../core/duration.ts'
import type { ScenarioDefinition, ScenarioStep } from '../../core/scenario.ts'

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'a scenario is named by lower-case letters, digits and hyphens: gdpr-deletion')
/** Names in references: no dots, as those lead into the event. */
const eventName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'a name is letters, digits and _')

/** The longest that a timer of Node takes is 24.8 days. */
const mostWithinMs = 24 * 86_400_000

const within = z
  .string()
  .refine((text) => isTime(text) && parseDuration(text) <= mostWithinMs, 'expected a time of at most 24d')
const span = z.string().refine((text) => isRange(text, isTime), 'expected a time or a range')
const times = z.custom<number | string>(
  (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 0 && value <= 10_000
      : typeof value === 'string' && isRange(value, (part) => /^\d{1,4}$/.test(part)),
  'expected a whole number of at most 10,000, or a range of at most 9,999',
)
const share = z.custom<number>(
  (value) => typeof value === 'number' && value >= 0 && value <= 1,
  'expected a share from 0 to 1',
)

const steps: z.ZodType<readonly ScenarioStep[]> = z.lazy(() => z.array(step))

const step: z.ZodType<ScenarioStep> = z.union([
  z.strictObject({
    publish: z.string().min(1),
    as: eventName.optional(),
    set: z.record(z.string().min(1), z.json()).optional(),
    subject: z.string().min(1).optional(),
    causedBy: eventName.optional(),
  }),
  z.strictObject({ think: span }),
  z.strictObject({ choose: z.array(z.strictObject({ share, steps })).min(1) }),
  z.strictObject({ repeat: times, steps }),
  z.strictObject({ expect: z.string().min(1), where: z.string().min(1).optional(), within: within.optional() }),
  z.strictObject({ include: name }),
])

/** What a scenario file holds. */
export const scenarioSchema: z.ZodType<ScenarioDefinition> = z.strictObject({
  scenario: name,
  summary: z.string().optional(),
  steps: z.array(step).min(1, 'expected one step or more'),
})

/** Which keys a step of each kind has; the first one tells the kind. */
export const stepKeys: Readonly<Record<string, readonly string[]>> = {
  publish: ['as', 'set', 'subject', 'causedBy'],
  think: [],
  choose: [],
  repeat: ['steps'],
  expect: ['where', 'within'],
  include: [],
}

/** What a field looks like that is as it should be. */
export const fieldExamples: Readonly<Record<string, string>> = {
  scenario: 'scenario: gdpr-deletion',
  summary: 'summary: what it is about, in one line',
  steps: 'steps are a list: - publish: user.created',
  publish: 'publish: user.created, or with a version, user.created@1',
  as: 'as: user',
  set: 'set: { data.plan: pro }',
  subject: 'subject: user/42; without one it follows from the id',
  causedBy: 'causedBy: user, where a step before has as: user',
  think: 'think: 5s, or between two times, think: 2s..30s',
  choose: 'choose is a list: - { share: 1, steps: [] }',
  share: 'share: 0.2; those of one choose sum to 1',
  repeat: 'repeat: 3, or between two numbers, repeat: 3..8',
  expect: 'expect: account.deleted, or a pattern, user.*',
  where: 'where: data.plan == "pro"',
  within: 'within: 5s',
  include: 'include: gdpr-deletion',
}

function isRange(text: string, isPart: (part: string) => boolean): boolean {
  const parts = rangeOf(text)
  return parts.length <= 2 && parts.every(isPart)
}

function isTime(text: string): boolean {
  try {
    return parseDuration(text) >= 0
  } catch {
    return false
  }
}

/** `2s..30s` as both ends, `5s` as one. */
export const rangeOf = (text: string): readonly string[] => text.split('..').map((part) => part.trim())
