import type { Contract } from '../core/contract.ts'
import type { ShapeField } from '../core/json-shape.ts'
import { snakeCase } from './snake-case.ts'

/** What an event does to the thing that it is about, read from the last word of its type. */
export type Verb =
  | { readonly kind: 'begin' | 'end' | 'change' | 'touch' }
  /** `suspended` switches the field `is_active` off; with `rest`, nothing happens to the thing until it is ended. */
  | { readonly kind: 'switch'; readonly flag: string; readonly to: boolean; readonly rest: boolean }
  | Phase

/** A step of a life: `assigned` between `created` and `completed`. */
export interface Phase {
  readonly kind: 'phase'
  readonly rank: number
  /** The rank of the thing before it: from `needs` on, below `below`. */
  readonly needs: number
  readonly below: number
  /** Types or last words of which one has to be the phase before, where the contract says so. */
  readonly after?: readonly string[]
  readonly end: boolean
}

/** The first of these that a thing has is how it begins; `created` and `registered` both do. */
const begins = [
  ['created', 'registered'],
  ['drafted', 'placed', 'defined', 'imported', 'recorded'],
  ['scheduled', 'requested', 'submitted', 'initiated', 'invited', 'received'],
  ['opened', 'started', 'added', 'enrolled', 'login'],
]
const ends = new Set(['deleted', 'removed', 'closed', 'purged', 'archived', 'discontinued', 'revoked', 'logout'])
const changes = new Set(['updated', 'changed', 'adjusted', 'edited', 'renamed', 'moved', 'configured'])
const switches: Readonly<Record<string, { readonly flag: string; readonly to: boolean; readonly rest?: true }>> = {
  suspended: { flag: 'is_active', to: false, rest: true },
  deactivated: { flag: 'is_active', to: false, rest: true },
  published: { flag: 'is_public', to: true },
  verified: { flag: 'is_verified', to: true },
}

/** Each comes after those above it that its thing has. */
const ways: readonly (readonly string[])[] = [
  ['scheduled', 'submitted', 'requested', 'opened', 'invited'],
  ['verified', 'approved', 'reserved', 'queued'],
  ['assigned', 'accepted', 'confirmed', 'authorised', 'authorized', 'enrolled'],
  ['paid'],
  ['started', 'activated', 'sent', 'shipped', 'captured', 'begun', 'published'],
  ['delivered', 'received'],
  ['read', 'acknowledged'],
]
const goals = new Set(['completed', 'finished', 'ended', 'fulfilled', 'succeeded', 'resolved'])
const goal = 100
/** How far a thing may have come for it to end so. */
const misfortunes: Readonly<Record<string, { readonly needs: number; readonly below: number }>> = {
  rejected: { needs: 0, below: 3 },
  declined: { needs: 0, below: 3 },
  refused: { needs: 0, below: 3 },
  cancelled: { needs: 0, below: 5 },
  canceled: { needs: 0, below: 5 },
  withdrawn: { needs: 0, below: 5 },
  expired: { needs: 0, below: goal },
  failed: { needs: 0, below: 5 },
  abandoned: { needs: 0, below: goal },
  timed_out: { needs: 0, below: goal },
  refunded: { needs: 4, below: goal },
  returned: { needs: 4, below: goal },
}

/** Fields that only a switch changes; elsewhere they keep the value with which things begin. */
export const startFlags: Readonly<Record<string, boolean>> = Object.fromEntries(
  Object.values(switches).map(({ flag, to }) => [flag, !to]),
)

export const wordOf = (type: string): string => type.split('.').at(-1) ?? type

const rankOf = (word: string): number => (goals.has(word) ? goal : ways.findIndex((words) => words.includes(word)) + 1)

/** How things begin that have events with these last words. */
export const beginningsOf = (words: readonly string[]): readonly string[] =>
  begins.find((some) => some.some((word) => words.includes(word))) ?? []

interface Surroundings {
  /** Last words of all known events of the same thing. */
  readonly words: readonly string[]
  readonly own: boolean
  readonly fields: readonly ShapeField[]
  readonly stateField: ShapeField | undefined
}

export function verbOf(contract: Contract, { words, own, fields, stateField }: Surroundings): Verb {
  const word = wordOf(contract.type)
  const declared = contract.lifecycle
  if (declared?.begins) return { kind: 'begin' }
  if (declared?.after) return phase({ rank: rankOf(word), after: declared.after, end: declared.ends ?? false })
  if (declared?.ends) return { kind: 'end' }
  if (own ? beginningsOf(words).includes(word) : begins.flat().includes(word)) return { kind: 'begin' }
  if (ends.has(word)) return { kind: 'end' }
  const change = switches[word]
  const inState = stateField?.shape.kind === 'object' ? stateField.shape.fields : []
  const flag = inState.find(({ name }) => snakeCase(name) === change?.flag)?.name
  if (change && flag !== undefined) return { kind: 'switch', flag, to: change.to, rest: change.rest ?? false }
  const misfortune = misfortunes[word]
  if (own && misfortune) return phase({ rank: goal, ...misfortune, needs: nearest(words, misfortune.needs), end: true })
  if (own && rankOf(word) > 0) return phaseOf(word, words)
  return { kind: changes.has(word) || fields.some(isChanges) ? 'change' : 'touch' }
}

function phaseOf(word: string, words: readonly string[]): Phase {
  const rank = rankOf(word)
  const needs = Math.max(0, ...words.map(rankOf).filter((other) => other < rank))
  return phase({
    rank,
    needs: beginningsOf(words).some((one) => rankOf(one) === needs) ? 0 : needs,
    end: goals.has(word),
  })
}

/** A thing that never comes so far has to come as far as it can. */
const nearest = (words: readonly string[], needs: number): number =>
  Math.min(needs, Math.max(0, ...words.map(rankOf).filter((rank) => rank < goal)))

const phase = (some: Partial<Phase> & { readonly rank: number; readonly end: boolean }): Phase => ({
  kind: 'phase',
  needs: 0,
  below: some.rank,
  ...some,
})

export const isChanges = ({ name, shape }: ShapeField): boolean =>
  name === 'changes' && shape.kind === 'array' && shape.item.kind === 'string'

/** Before it something else has to happen to the same thing: from `begun`, or from the phase `phase`. */
export function isPhaseAllowed(verb: Phase, rank: number, type: string | undefined): boolean {
  if (verb.after) return type !== undefined && (verb.after.includes(type) || verb.after.includes(wordOf(type)))
  return rank >= verb.needs && rank < verb.below
}
