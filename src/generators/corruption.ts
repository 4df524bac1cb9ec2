import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import { type EvtEvent, maxDataBytes } from '../core/event.ts'
import { fieldPaths, type Shape, shapeOf } from '../core/json-shape.ts'
import { suggestion } from '../core/suggest.ts'
import type { Moment } from './moment.ts'
import { withoutPath, withPath } from './paths.ts'

/** Ways to be wrong, each caught at another place. */
export const corruptions = [
  'missing-field', // a required field is absent: refused by the contract
  'wrong-type', // a field holds a value of another type: refused by the contract
  'oversize', // data above the size limit
  'bad-checksum', // the checksum is of other bytes
  'stale-sequence', // a sequence that the subject has already had
  'duplicate', // what was sent last once more, same id and same bytes
  'unknown-version', // a version that nobody knows yet
  'poison', // fits its contract and breaks a handler
] as const
export type Corruption = (typeof corruptions)[number]

export interface CorruptOptions {
  readonly kinds: readonly Corruption[]
  /** Share of events, 0..1. */
  readonly ratio: number
}

/** Splits `missing-field,poison`; throws EvtError('usage') with a suggestion. */
export function parseCorruptions(text: string): readonly Corruption[] {
  return text.split(',').map((part) => {
    const kind = corruptions.find((one) => one === part.trim())
    if (kind) return kind
    throw new EvtError('usage', `cannot corrupt by ${JSON.stringify(part.trim())}: there is no such kind`, {
      hint: suggestion(part.trim(), corruptions) ?? `kinds: ${corruptions.join(', ')}`,
    })
  })
}

/** The event made wrong, or undefined where this kind cannot apply to it: then the next event has to bear it. */
export type Corrupt = (kind: Exclude<Corruption, 'duplicate'>, event: EvtEvent, moment: Moment) => EvtEvent | undefined

export const unknownVersion = 99

/** Values that contracts allow and handlers trip over, by the name of the field. */
const poison: Readonly<Record<string, (value: unknown) => unknown>> = {
  // Markup that is never closed.
  content: (value) => `${String(value)} <icon name="`,
  // A plus address: valid, and refused by more than one database.
  email: (value) => String(value).replace('@', '+poison@'),
  value: () => 'not-a-number',
}

export function compileCorrupt(contract: Contract): Corrupt {
  const paths = fieldPaths(shapeOf(contract.schema), 'data').map(({ path, field }) => ({
    path: path.split('.').slice(1),
    field,
  }))
  const leaves = paths.filter(({ field }) => field.required && isScalar(field.shape))
  const poisoned = paths.filter(({ path }) => Object.hasOwn(poison, path.at(-1) ?? ''))
  const some = <T>(list: readonly T[], moment: Moment): T | undefined => list[moment.below(list.length)]

  return (kind, event, moment) => {
    switch (kind) {
      case 'missing-field': {
        const leaf = some(leaves, moment)
        return leaf && { ...event, data: withoutPath(event.data, leaf.path) }
      }
      case 'wrong-type': {
        const leaf = some(leaves, moment)
        return leaf && { ...event, data: withPath(event.data, leaf.path, wrongFor(leaf.field.shape)) }
      }
      case 'oversize':
        return { ...event, data: { ...(event.data as object), padding: 'x'.repeat(maxDataBytes) } }
      case 'bad-checksum':
        return { ...event, checksum: '0'.repeat(64) }
      case 'stale-sequence':
        return (event.sequence ?? 1) < 2
          ? undefined
          : { ...event, sequence: 1 + moment.below((event.sequence ?? 2) - 1) }
      case 'unknown-version':
        return { ...event, version: unknownVersion }
      case 'poison': {
        const target = some(poisoned, moment)
        const last = target?.path.at(-1)
        if (!target || last === undefined) return undefined
        return { ...event, data: withPath(event.data, target.path, poison[last]?.(valueAt(event.data, target.path))) }
      }
    }
  }
}

const isScalar = ({ kind }: Shape): boolean =>
  kind === 'string' || kind === 'number' || kind === 'boolean' || kind === 'choice'

/** No contract asks for a list of nulls. */
const wrongFor = (shape: Shape): unknown => (shape.kind === 'string' || shape.kind === 'choice' ? 42 : [null])

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], value)
}
