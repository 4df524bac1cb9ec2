import type { EvtError } from '../../core/errors.ts'
import { type Cluster, pause } from './cluster.ts'
import { passes, translate, typeOf } from './errors.ts'
import type { KafkaLane } from './lane.ts'
import { type Commit, commitOffsets, type Membership } from './offsets.ts'

const everyMs = 200
const markWithinMs = 1_000
const retryPauseMs = 50

/** A broker takes some 5 ms for a commit (`group.coordinator.append.linger.ms`), and one at a time from a connection. */
const abreast = 4

export interface CommittersInit {
  readonly cluster: Cluster
  /** Each has a connection of its own. */
  readonly purpose: string
  identity(): Membership
  /** Meanwhile the group takes no commit of anybody. */
  isJoining(): boolean
  /** The group knows this member no longer. */
  onDead(): void
  onProblem(error: EvtError): void
}

/** Writes down what the lanes of a member have settled and handed out. */
export interface Committers {
  /** For a new lane. Those that share one are committed together. */
  next(): Committer
  /** Closes their connections. */
  stop(): void
}

export function createCommitters(init: CommittersInit): Committers {
  const purposes = Array.from({ length: abreast }, (_, i) => `${init.purpose} ${i}`)
  const all = purposes.map((purpose) => createCommitter({ ...init, purpose }))
  let turn = 0
  return {
    next: () => all[turn++ % abreast] as Committer,
    stop() {
      for (const committer of all) committer.stop()
      for (const purpose of purposes) init.cluster.disconnect(purpose)
    },
  }
}

export interface Committer {
  /** From now on this lane is committed, until it is lost. */
  add(lane: KafkaLane): void
  /** There is something to commit: within a fraction of a second. */
  soon(): void
  /** Behind the commit that is under way: what all lanes ask for meanwhile goes out at once. */
  next(): void
  /** Now; tries again for so long. Never throws: what could not be committed comes again. */
  commit(withinMs: number): Promise<void>
  stop(): void
}

function createCommitter(init: CommittersInit): Committer {
  const { cluster, purpose, identity, isJoining, onDead, onProblem } = init
  const lanes = new Set<KafkaLane>()
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

  let isNextWaiting = false
  function next(): void {
    if (isNextWaiting) return
    isNextWaiting = true
    lastCommit = lastCommit.then(() => {
      isNextWaiting = false
      return commitWithin(markWithinMs)
    })
  }

  async function commitWithin(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const commits = [...lanes].flatMap((lane) => {
        const commit = lane.dirty
        return commit === undefined ? [] : [{ lane, commit }]
      })
      if (commits.length === 0 || cluster.closing.aborted) return
      if (await commitOnce(commits)) return
      if (performance.now() >= deadline) return soon()
      await pause(retryPauseMs, cluster.closing)
    }
  }

  async function commitOnce(commits: readonly { lane: KafkaLane; commit: Commit }[]): Promise<boolean> {
    const of = identity()
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

  function add(lane: KafkaLane): void {
    lanes.add(lane)
    lane.lost.addEventListener('abort', () => lanes.delete(lane), { once: true })
  }

  return { add, soon, next, commit, stop: () => clearTimeout(timer) }
}
