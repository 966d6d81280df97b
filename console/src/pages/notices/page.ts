import { BellOutlined } from '@ant-design/icons';
import { definePage } from '../registry';
import { NewNotices } from './NewNotices';

export default definePage({
  name: 'notices',
  title: { en: 'My notices', 'zh-CN': '我的提醒', 'zh-TW': '我的提醒' },
  icon: BellOutlined,
  group: 'mine',
  order: 25,
  need: 'member',
  badge: NewNotices,
  load: () => import('./Notices'),
});
