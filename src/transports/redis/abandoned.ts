import { firstId } from './entry-id.ts'
import type { ForeignGroup, Pending } from './foreign-group.ts'

const pageSize = 100

/** Looks for what was delivered, to us before or to others who do not move any more, and never acknowledged. */
export interface Abandoned {
  /** Found and not yet claimed, in order of their ids. Of many, only a page is held. */
  readonly found: Pending[]
  /** Reads on where it is time to. `inHand`: what of it we know. */
  look(inHand: () => ReadonlySet<string>): Promise<void>
}

/**
 * @param consumer our own: what it has and we do not, an earlier owner of that name left
 * @param idleMs others' deliveries count as abandoned when they were not touched for so long
 */
export function createAbandoned(group: ForeignGroup, consumer: string, idleMs: number): Abandoned {
  const found: Pending[] = []
  let after: string | undefined = firstId
  let nextLook = 0

  async function readPage(from: string, inHand: ReadonlySet<string>): Promise<void> {
    const page = await group.pending(from, pageSize)
    const ours = (one: Pending) => one.consumer === consumer || one.idleMs >= idleMs
    found.push(...page.filter((one) => !inHand.has(one.id) && ours(one)))
    after = page.length < pageSize ? undefined : page.at(-1)?.id
  }

  return {
    found,
    async look(inHand) {
      if (found.length > 0 || (after === undefined && performance.now() < nextLook)) return
      const known = inHand()
      if (after === undefined && (await group.countPending()) > known.size) after = firstId
      while (after !== undefined && found.length === 0) await readPage(after, known)
      nextLook = performance.now() + idleMs / 12
    },
  }
}
