import { z } from 'zod'
import { sensitive } from '../../../index.ts'

/** Marks a field of an event about `user_id`. Handlers get null once it was erased, so the type always says so. */
export type Personal = <S extends z.ZodType>(schema: S) => z.ZodNullable<S>

export const masked: Personal = <S extends z.ZodType>(schema: S) => sensitive(schema) as unknown as z.ZodNullable<S>
/** With the key of the user, whatever the event's subject is: `evt privacy forget user/…` erases it everywhere. */
export const encrypted: Personal = <S extends z.ZodType>(schema: S) => sensitive(schema, { encrypt: 'user/{user_id}' })

export const instant = z.iso.datetime({ offset: true })
export const country = z.string().length(2)
export const word = z.string().regex(/^[a-z][a-z0-9_.-]*$/)
