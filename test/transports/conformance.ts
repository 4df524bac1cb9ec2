// What every transport promises, as sentences. A transport's own test file is a call to this and what is special to it.
import { describe } from 'vitest'
import { closing, closingLanes } from './conformance/closing.ts'
import { deadLetters } from './conformance/dead-letters.ts'
import { faults } from './conformance/faults.ts'
import { groups } from './conformance/groups.ts'
import { observing } from './conformance/observing.ts'
import { order } from './conformance/order.ts'
import { ownMark } from './conformance/own-mark.ts'
import { ownership } from './conformance/ownership.ts'
import { publishing } from './conformance/publishing.ts'
import { removing } from './conformance/removing.ts'
import { settling } from './conformance/settling.ts'
import type { Setup } from './conformance/world.ts'

export type { Doomed, DoomedPlan, Setup } from './conformance/world.ts'

/**
 * Holds a transport to the contract. Scenarios beyond its capabilities are skipped and counted by name; where `setup` has no means for one
 * that is promised, it fails. Every scenario has a topic, group and event type of its own: the suite can be run again on a used server.
 */
export function describeTransport(name: string, setup: Setup): void {
  const suites = { publishing, order, settling, ownership, groups, observing, closing, closingLanes, removing, faults }
  // Whole parts of the contract that a transport may leave out.
  const optional = { deadLetters, ownMark } as const
  describe(`${name} keeps the contract`, () => {
    for (const [title, suite] of Object.entries(suites)) describe(title, () => suite(setup))
    for (const part of ['deadLetters', 'ownMark'] as const)
      describe.skipIf(!setup.capabilities[part])(part, () => optional[part](setup))
  })
}
