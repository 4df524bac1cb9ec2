import { z } from 'zod'
import { parseDuration } from '../../core/duration.ts'
import type { ScenarioDefinition, ScenarioStep } from '../../core/scenario.ts'

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'a scenario is named by lower-case letters, digits and hyphens: gdpr-deletion')
/** Names in references: no dots, as those lead into the event. */
const eventName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'a name is letters, digits and _')

const time = z.string().refine(isTime, 'expected a time: 250ms, 5s, 1m30s')
const span = z.string().refine((text) => rangeOf(text).every(isTime), 'expected a time or a range: 5s, 2s..30s')
const times = z.union([
  z.int().min(0).max(10_000),
  z
    .string()
    .refine(
      (text) => rangeOf(text).every((part) => /^\d{1,4}$/.test(part)),
      'expected a number or a range of at most 9,999: 3..8',
    ),
])

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
  z.strictObject({ choose: z.array(z.strictObject({ share: z.number().min(0).max(1), steps })).min(1) }),
  z.strictObject({ repeat: times, steps }),
  z.strictObject({ expect: z.string().min(1), where: z.string().min(1).optional(), within: time.optional() }),
  z.strictObject({ include: name }),
])

/** What a scenario file holds. */
export const scenarioSchema: z.ZodType<ScenarioDefinition> = z.strictObject({
  scenario: name,
  summary: z.string().optional(),
  steps: z.array(step).min(1),
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

function isTime(text: string): boolean {
  try {
    return parseDuration(text) >= 0
  } catch {
    return false
  }
}

/** `2s..30s` as both ends, `5s` as one. */
export const rangeOf = (text: string): readonly string[] => text.split('..').map((part) => part.trim())
