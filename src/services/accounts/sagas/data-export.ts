import { z } from 'zod'
import { defineSaga } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import { userDataExportCompleted, userDataExportContributed, userDataExportRequested } from '../contracts.ts'
import { byExport } from './saga-keys.ts'

/** Everything that is known of a user, from every service that answers in time; the link names those that did not. */
export const dataExport = defineSaga({
  name: 'accounts.data-export',
  startsOn: userDataExportRequested,
  correlate: byExport,
  state: z.object({
    export_id: z.uuid(),
    user_id: z.uuid(),
    asked: z.array(z.string()),
    services: z.array(z.string()),
    missing: z.array(z.string()),
  }),
  begin: ({ data }) => ({ ...data, asked: [], services: [], missing: [] }),
  perKey: 'once',
  timeout: '1h',
  steps: ({ step }) => [
    step('open', {
      async run(state, ctx) {
        const { export_id, user_id } = state
        await ctx.sql`
          insert into accounts.exports (export_id, user_id, asked_at) values (${export_id}, ${user_id}, ${ctx.saga.startedAt})`
        const holders = await ctx.sql<{ service: string }>`select service from accounts.data_holders order by service`
        state.asked = holders.map(({ service }) => service)
      },
      compensate: ({ export_id }, ctx) => ctx.sql`
        update accounts.exports set status = 'failed' where export_id = ${export_id}`,
    }),
    step('collect', {
      awaits: userDataExportContributed,
      correlate: byExport,
      from: ({ asked }) => asked,
      sender: ({ data }) => data.service,
      // Into a table and not into the state: it may be large, and it is the user's.
      async on(state, { data }, ctx) {
        await ctx.sql`
          insert into accounts.export_parts (export_id, user_id, service, document)
          values (${data.export_id}, ${data.user_id}, ${data.service}, ${data.document}) on conflict do nothing`
        state.services.push(data.service)
      },
      timeout: '10m',
      onTimeout: (state, missing) => {
        state.missing = [...missing]
      },
    }),
    step('link', {
      run: ({ export_id }, ctx) => ctx.sql`
        update accounts.exports set status = 'ready', url = ${linkOf(export_id)} where export_id = ${export_id}`,
    }),
  ],
  onCompleted: ({ export_id, user_id, services, missing }, ctx) =>
    ctx.publish(
      aboutUser(userDataExportCompleted, {
        ...{ export_id, user_id, missing, url: linkOf(export_id) },
        services: [...services].sort(),
      }),
    ),
})

const linkOf = (exportId: string) => `https://accounts.example/exports/${exportId}`
