import type { HandlerDefinition } from '../../src/handle/handler.ts'

export const slowly: HandlerDefinition = {
  name: 'things.slowly',
  on: ['thing.*'],
  transaction: 'event',
  async handle(event, ctx) {
    await ctx.sql`insert into effects values (${event.id})`
  },
}
