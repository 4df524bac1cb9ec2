import { compileWhere, eventFields, type Where } from '../../core/where.ts'
import { type Parse, value } from '../command.ts'

const where: Parse<Where> = (given, { nowMs }) => compileWhere(given, { nowMs, fields: eventFields })

export const whereOptions = {
  where: value({ short: 'w', value: 'expression', says: 'only events for which this is true', parse: where }),
} as const
