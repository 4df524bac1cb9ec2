import type { EvtError } from '../../core/errors.ts'
import { type Cluster, pause } from './cluster.ts'
import { passes, translate, typeOf } from './errors.ts'
import type { KafkaLane } from './lane.ts'
import { commitOffsets, type Membership } from './offsets.ts'

const everyMs = 200
const retryPauseMs = 50

export interface CommitterInit {
  readonly cluster: Cluster
  readonly purpose: string
  readonly owned: ReadonlyMap<string, KafkaLane>
  identity(): Membership
  /** Meanwhile the group takes no commit of anybody. */
  isJoining(): boolean
  /** The group knows this member no longer. */
  onDead(): void
  onProblem(error: EvtError): void
}

/** Writes down what the lanes of a member have settled. */
export interface Committer {
  /** There is something to commit: within a fraction of a second. */
  soon(): void
  /** Now; tries again for so long. Never throws: what could not be committed comes again. */
  commit(withinMs: number): Promise<void>
  stop(): void
}

export function createCommitter(init: CommitterInit): Committer {
  const { cluster, purpose, owned, identity, isJoining, onDead, onProblem } = init
  let timer: NodeJS.Timeout | undefined

  function soon(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      void commit(0)
    }, everyMs)
  }

  /** One commit at a time: an older one must not overtake a newer. */
  let lastCommit: Promise<void> = Promise.resolve()
  function commit(withinMs: number): Promise<void> {
    lastCommit = lastCommit.then(() => commitWithin(withinMs))
    return lastCommit
  }

  async function commitWithin(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const dirty = [...owned.values()].filter((lane) => lane.dirty !== undefined)
      if (dirty.length === 0 || cluster.closing.aborted) return
      if (await commitOnce(dirty)) return
      if (performance.now() >= deadline) return soon()
      await pause(retryPauseMs, cluster.closing)
    }
  }

  async function commitOnce(dirty: readonly KafkaLane[]): Promise<boolean> {
    const of = identity()
    const commits = dirty.flatMap((lane) => (lane.dirty === undefined ? [] : [{ lane, commit: lane.dirty }]))
    try {
      await commitOffsets(
        cluster,
        of,
        purpose,
        commits.map(({ commit }) => commit),
      )
      for (const { lane, commit } of commits) lane.committed(commit)
      return true
    } catch (error) {
      const type = typeOf(error)
      const now = identity()
      const isCurrent = !isJoining() && of.memberId === now.memberId && of.generation === now.generation
      if (isCurrent && (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION')) {
        onDead()
      } else if (
        type !== 'REBALANCE_IN_PROGRESS' &&
        type !== 'ILLEGAL_GENERATION' &&
        type !== 'UNKNOWN_MEMBER_ID' &&
        !passes(error)
      ) {
        onProblem(translate(error, `commit the offsets of group ${of.group}`))
      }
      return false
    }
  }

  return { soon, commit, stop: () => clearTimeout(timer) }
}
