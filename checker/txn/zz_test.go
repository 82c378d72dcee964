package txn
import ("testing";"context";"fmt";"rift/harness/history";)
func TestZ(t *testing.T){
 n:=100000
 g:=DefaultGenerator(n); g.Isolation=Snapshot
 g2:=DefaultGenerator(n); g2.Isolation=Torn
 g3:=DefaultGenerator(n); g3.Kind=Register
 g4:=g3; g4.Stale=0.05
 _,_,_,_=g,g2,g3,g4; for name,h:=range map[string]history.History{"late":lateRead(n,ListAppend),"reg":lateRead(n,Register)} {
 c:=Checker{}; if name=="reg"||name=="regstale" {c.Kind=Register}
 a,gr,err:=Checker{Kind:c.Kind,Expect:StrictSerial,Steps:DefaultSteps}.judge(context.Background(),h)
 if err!=nil {t.Fatal(err)}
 fmt.Println(name, a.count, a.notes, gr.count)
 for _,p:=range a.parts(gr) { if len(p.txns)>1000 {fmt.Println("   part",len(p.txns))}}
 seen:=map[string]bool{}
 for _,f:=range a.found { if len(f.edges)>0 && !seen[f.kind] {seen[f.kind]=true; fmt.Println("   ",f.kind,len(f.edges),f.short)}}
 r:=c.Check(context.Background(),h); fmt.Println(r.Summary); if len(r.Anomalies)>0 {{for _,s:=range r.Anomalies[len(r.Anomalies)-1].Steps {fmt.Println("     ",s)}}}
 }
}
