// Texts of one's own keys that the keys page has not.

import { defineTexts } from '../../i18n/language';

export const ownKeyTexts = defineTexts(
  {
    title: 'My keys',
    lead: 'What your programs call models with. Their calls are paid from your balance.',
    emptyTitle: 'You have no keys yet',
    emptyHint: 'Create one and copy it: it works at once.',
    dailyHint: 'Empty: the server’s default, which is also the most.',
    askRemoveMany: (count: number) =>
      `Delete ${count} of your keys? Calls with them are refused within a second.`,
  },
  {
    title: '我的密钥',
    lead: '您的程序用它调用模型，费用从您的余额中扣除。',
    emptyTitle: '您还没有密钥',
    emptyHint: '创建一个并复制，立即可用。',
    dailyHint: '留空：服务器默认值，这也是上限。',
    askRemoveMany: (count: number) => `删除您的 ${count} 个密钥？一秒内将拒绝使用它们的调用。`,
  },
  {
    title: '我的金鑰',
    lead: '您的程式用它呼叫模型，費用從您的餘額中扣除。',
    emptyTitle: '您還沒有金鑰',
    emptyHint: '建立一個並複製，立即可用。',
    dailyHint: '留空：伺服器預設值，這也是上限。',
    askRemoveMany: (count: number) => `刪除您的 ${count} 個金鑰？一秒內將拒絕使用它們的呼叫。`,
  },
);
