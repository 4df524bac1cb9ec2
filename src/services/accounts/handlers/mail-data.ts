import { dataHolder } from '../data-holder.ts'

export const mailData = dataHolder({ service: 'mail', tables: ['mails'] })
