import { EvtError } from '../core/errors.ts'
import { type Layout, layouts } from '../core/layout.ts'

export const busTypes = ['redis', 'kafka', 'rabbitmq', 'memory', 'noop'] as const
export type BusType = (typeof busTypes)[number]

export function parseBusType(text: string): BusType {
  const name = text.toLowerCase()
  if ((busTypes as readonly string[]).includes(name)) return name as BusType
  throw new EvtError('usage', `cannot read '${text}': it is none of ${busTypes.join(', ')}`)
}

export function parseLayout(text: string): Layout {
  if ((layouts as readonly string[]).includes(text)) return text as Layout
  throw new EvtError('usage', `cannot read '${text}': it is none of ${layouts.join(', ')}`)
}
