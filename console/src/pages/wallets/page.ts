import { WalletOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'wallets',
  title: { en: 'Wallets', 'zh-CN': '钱包', 'zh-TW': '錢包' },
  icon: WalletOutlined,
  group: 'money',
  order: 40,
  need: 'read',
  load: () => import('./Wallets'),
});
