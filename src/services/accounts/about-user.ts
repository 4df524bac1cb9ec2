import type { Contract, NewEvent } from '../../index.ts'

/** An event about a user: all of them share the user's subject, so that they come in one order. */
export const aboutUser = <T extends { readonly user_id: string }>({ type }: Contract<T>, data: T): NewEvent<T> => ({
  type,
  subject: `user/${data.user_id}`,
  data,
})
