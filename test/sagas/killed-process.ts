// Runs the sagas of `killed.test.ts`: `node killed-process.ts <URL> <folder>`, from the first byte on its stdin. Ends itself by SIGKILL, once at each point.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createBridge, type SagaContext } from '../../src/index.ts'
import { byId, type JobState, jobs, loaded, registry } from './jobs.ts'

const [, , url = '', folder = ''] = process.argv

/** After its effects, before the commit. */
function dieOnce({ id }: JobState, point: string): void {
  if (id.split('.')[1] !== point) return
  const mark = join(folder, id)
  if (existsSync(mark)) return
  writeFileSync(mark, '')
  process.kill(process.pid, 'SIGKILL')
}

async function effect(own: JobState, ctx: SagaContext, point: string): Promise<void> {
  own.log.push(point)
  await ctx.sql`insert into effects values (${own.id}, ${point})`
  await ctx.publish({ type: 'job.checked', data: { id: `${own.id} ${point}` } })
  dieOnce(own, point)
}

const saga = jobs({
  steps: ({ step }) => [
    step('load', {
      run: async (own, ctx) => {
        await ctx.publish({ type: 'job.loaded', data: { id: own.id } })
        await effect(own, ctx, 'run')
      },
      awaits: loaded,
      correlate: byId,
      on: (own, _event, ctx) => effect(own, ctx, 'on'),
      compensate: (own, ctx) => effect(own, ctx, 'undo-load'),
    }),
    step('act', {
      run: (own, ctx) => effect(own, ctx, 'act'),
      compensate: (own, ctx) => effect(own, ctx, 'undo-act'),
    }),
    step('wait', {
      run: ({ id }, ctx) => (id.startsWith('bad') ? undefined : ctx.publish({ type: 'job.loaded', data: { id } })),
      awaits: loaded,
      correlate: byId,
      timeout: '50ms',
      onTimeout: async (own, _missing, ctx) => {
        // A killed process may have missed the answer.
        if (own.id.startsWith('good')) return
        await effect(own, ctx, 'time-out')
        throw new Error('nobody answered')
      },
    }),
  ],
  onCompleted: (own, ctx) => effect(own, ctx, 'completed'),
  onFailed: (own, ctx) => effect(own, ctx, 'failed'),
})

const bridge = createBridge({ store: url, sagas: [saga], registry, roles: ['handlers'] })
process.stdin.on('end', () => process.exit(0))
// It is there, with all that it needs to load, before its turn comes.
process.stdin.once('data', () => void bridge.start())
