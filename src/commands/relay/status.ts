import { formatAge } from '../../core/duration.ts'
import { visible } from '../../core/visible.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'relay status',
  section: 'watch',
  summary: 'who leads, who stands by, and whether the log may go on here; exit 1 when it may not, or nobody leads',
  examples: [
    {
      line: 'evt relay status',
      says: 'the leader, the end of the log, the cluster that the cursor was made on',
      exit: 1,
    },
    { line: 'evt relay status --json', says: 'for a script that watches it', exit: 1 },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    const { readRelay } = await import('../../store/relay-state.ts')
    return withStore(runtime, { command: 'relay status', max: 1 }, async (store) => {
      const state = await readRelay(store)
      const { leader, remainingMs, standbys, epoch, head, pending, oldestMs, cursor, here, ahead } = state
      const isSame = cursor.systemIdentifier === here.systemIdentifier && cursor.timeline === here.timeline
      const isLed = leader !== undefined && (remainingMs ?? 0) > 0
      const isWell = isSame && isLed && ahead.length === 0
      const nameOf = (one: typeof here) => `cluster ${one.systemIdentifier} timeline ${one.timeline}`
      const waits = pending === 0 ? 'nothing' : `${pending} events, the oldest for ${formatAge(oldestMs ?? 0)}`
      runtime.output.result({
        status: isWell ? 'pass' : 'fail',
        data: {
          ...{ leader: isLed ? leader : null, standbys, epoch: String(epoch), head: String(head) },
          ...{ pending, cursor, here, isSame },
          ahead: ahead.map(({ who, after }) => ({ who, after: String(after) })),
        },
        meta: { store: store.url },
        render: () =>
          [
            `leader    ${isLed ? `${leader}, epoch ${epoch}` : 'none'}`,
            `standbys  ${standbys.join(', ') || 'none'}`,
            `log       ends at ${head}; ${waits} without a position`,
            `cursor    of ${nameOf(cursor)}${isSame ? '' : `; this is ${nameOf(here)}`}`,
            ...ahead.map(({ who, after }) => `beyond    ${visible(who)} stands at ${after}`),
          ].join('\n'),
      })
      if (!isSame)
        runtime.output.warn('the cursor was made on another cluster or timeline', 'run `evt relay rebase --dry-run`')
      else if (ahead.length > 0)
        runtime.output.warn('somebody stands beyond the end of the log, and waits', 'run `evt relay rebase --dry-run`')
      else if (!isLed) runtime.output.warn('nobody leads', 'run `evt up`')
      return isWell ? undefined : 'failed'
    })
  },
})
