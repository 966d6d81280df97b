import { FundOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'balance',
  title: { en: 'My balance', 'zh-CN': '我的余额', 'zh-TW': '我的餘額' },
  icon: FundOutlined,
  group: 'mine',
  order: 10,
  need: 'member',
  load: () => import('./Balance'),
});
