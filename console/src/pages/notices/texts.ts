// Texts of one's own notices.

import { defineTexts } from '../../i18n/language';

export const noticeTexts = defineTexts(
  {
    title: 'My notices',
    lead: 'What you were told of your balance and your budgets, the newest first.',
    when: 'When',
    what: 'What',
    mail: 'By mail',
    mailed: 'sent',
    notMailed: 'only here',
    unseen: (count: string) => `${count} new`,
    isNew: 'new',
    emptyTitle: 'Nothing to tell you',
    emptyHint: 'When your balance gets low or a budget is nearly spent, you read it here first.',
    toBalance: 'My balance',
  },
  {
    title: '我的提醒',
    lead: '关于余额和预算的提醒，最新的在前。',
    when: '时间',
    what: '内容',
    mail: '邮件',
    mailed: '已发送',
    notMailed: '仅在此处',
    unseen: (count: string) => `${count} 条新提醒`,
    isNew: '新',
    emptyTitle: '没有提醒',
    emptyHint: '余额不足或预算即将用尽时，会首先显示在这里。',
    toBalance: '我的余额',
  },
  {
    title: '我的提醒',
    lead: '關於餘額與預算的提醒，最新的在前。',
    when: '時間',
    what: '內容',
    mail: '郵件',
    mailed: '已傳送',
    notMailed: '僅在此處',
    unseen: (count: string) => `${count} 則新提醒`,
    isNew: '新',
    emptyTitle: '沒有提醒',
    emptyHint: '餘額不足或預算即將用盡時，會最先顯示在這裡。',
    toBalance: '我的餘額',
  },
);
