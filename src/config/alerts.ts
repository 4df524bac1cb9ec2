import type { AlertRule } from '../core/alerts/alert-rule.ts'
import { defaultAlerts } from '../core/alerts/defaults.ts'
import { EvtError } from '../core/errors.ts'

/** `off`: none of the built-in ones; else rules as JSON. What they say is checked where they are used. */
export function parseAlerts(text: string): readonly AlertRule[] {
  if (text === 'off') return defaultAlerts.map(({ name }) => ({ name, off: true }))
  try {
    const rules: unknown = JSON.parse(text)
    if (Array.isArray(rules)) return rules
  } catch {
    // Told below.
  }
  throw new EvtError('usage', `cannot read '${text}': it is neither off nor a JSON list of rules`, {
    hint: 'write them in evt.config.ts, as alerts: [{ name, when }]',
  })
}

export const shownAlerts = (rules: readonly AlertRule[]): string => rules.map(({ name }) => name).join(',')
