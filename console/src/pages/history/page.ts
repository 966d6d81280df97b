import { HistoryOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'history',
  title: { en: 'My history', 'zh-CN': '我的记录', 'zh-TW': '我的紀錄' },
  icon: HistoryOutlined,
  group: 'mine',
  order: 20,
  need: 'member',
  load: () => import('./History'),
});
