import type { Moment } from './moment.ts'
import type { Data } from './values.ts'

/** One thing that events are about: a user, a document. */
export interface Individual {
  readonly id: string | number
  readonly subject: string
  /** Of `Moment`: what is drawn of it fits what was drawn before. */
  readonly salt: number
  /** Of the last event. */
  sequence: number
  /** Suspended: it can only be ended. */
  resting: boolean
  /** Ended: nothing of it, and nothing that belongs to it, happens any more. */
  gone: boolean
  /** An event has told how it began. */
  begun: boolean
  /** At its goal: nothing more of its own, but what belongs to it goes on. */
  finished: boolean
  /** How far it has come, and by which type. */
  rank: number
  phase: string | undefined
  /** What its events said of it outside of a state. */
  facts: Data
  readonly tenant: string | undefined
  /** What it belongs to, by the field that says so: `user_id`. */
  readonly owners: Readonly<Record<string, Individual>>
  /** Its present state, by the field of the payload: `user_data`. Replaced, never changed: events share it. */
  state: Readonly<Record<string, Data>>
  /** The id of the first event about it, which all later ones carry. */
  correlationId: string | undefined
}

/** Things in use at once. More are forgotten, oldest taste first, so that memory stays flat over millions of events. */
const most = 5_000

/** The living things of one kind. A few are chosen often, most seldom (Zipf). */
export interface Population {
  add(one: Individual): void
  /** One that `suits`, or undefined when a few choices found none. Takes out what is gone on the way. */
  choose(moment: Moment, suits: (one: Individual) => boolean): Individual | undefined
  remove(one: Individual): void
  readonly size: number
}

/** `skew` is Zipf's exponent: 0 chooses all as often. */
export function createPopulation(skew = 1): Population {
  const alive: Individual[] = []
  const places = new Map<Individual, number>()

  const remove = (one: Individual): void => {
    const place = places.get(one)
    if (place === undefined) return
    places.delete(one)
    const last = alive.pop()
    if (last === undefined || last === one) return
    alive[place] = last
    places.set(last, place)
  }
  return {
    add(one) {
      // The last places are the least chosen ones.
      if (alive.length >= most) remove(alive.at(-1) as Individual)
      places.set(one, alive.length)
      alive.push(one)
    },
    choose(moment, suits) {
      for (let tries = 0; tries < 8 && alive.length > 0; tries++) {
        const one = alive[rankOf(moment.random(), alive.length, skew) - 1] as Individual
        if (one.gone || one.finished || hasLostOwner(one)) remove(one)
        else if (suits(one)) return one
      }
      return undefined
    },
    remove,
    get size() {
      return alive.length
    },
  }
}

/** From 1 to `count`, by the inverse of the integral of x^-skew. */
function rankOf(random: number, count: number, skew: number): number {
  if (Math.abs(skew - 1) < 1e-3) return Math.floor((count + 1) ** random)
  const power = 1 - skew
  return Math.min(count, Math.floor((1 + random * ((count + 1) ** power - 1)) ** (1 / power)))
}

function hasLostOwner(one: Individual): boolean {
  for (const field in one.owners) if (one.owners[field]?.gone) return true
  return false
}
